import type { Socket } from "node:net";
import type { DialFailure } from "./dial-failure.ts";

/** What to ask a proxy for. */
export interface Tunnel {
  /** `host:port` of the server. */
  readonly target: string;
  /** The value of Proxy-Authorization; null: none. */
  readonly authorization: string | null;
}

const maxHeadBytes = 16 * 1024;
const headEnd = "\r\n\r\n";

/** Has the proxy at the other end of `socket` connect it to the target (CONNECT, RFC 9110 §9.3.6). null: done. */
export function tunnelThrough(
  socket: Socket,
  { target, authorization }: Tunnel,
): Promise<DialFailure | null> {
  const { promise, resolve } = Promise.withResolvers<DialFailure | null>();
  let held: Buffer = Buffer.alloc(0);
  const settle = (failure: DialFailure | null) => {
    socket.off("readable", onReadable);
    socket.off("end", onEnd);
    socket.off("error", onEnd);
    socket.off("close", onEnd);
    resolve(failure);
  };
  const onEnd = () => settle({ kind: "proxy", status: null });
  // Not by "data": a socket that has flowed and was stopped would not flow again for who reads next.
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    held = Buffer.concat([held, chunk]);
    const end = held.indexOf(headEnd);
    if (end < 0 && held.length <= maxHeadBytes) return;
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(held.toString("latin1"))?.[1];
    if (end < 0 || status === undefined) return onEnd();
    if (!status.startsWith("2")) return settle({ kind: "proxy", status: Number(status) });
    settle(null);
    // The server may have greeted already.
    const early = held.subarray(end + headEnd.length);
    if (early.length > 0) socket.unshift(early);
  };
  socket.on("readable", onReadable);
  socket.once("end", onEnd);
  socket.once("error", onEnd);
  socket.once("close", onEnd);
  const login = authorization === null ? "" : `Proxy-Authorization: ${authorization}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n`);
  return promise;
}
