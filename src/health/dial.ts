import { systemCode } from "../errors.ts";
import { type Address, addressText } from "../util/address.ts";
import { abortable, type Call } from "../util/async.ts";

/** What is said over one connection, and what to make of its course; undefined: go on. */
export interface Talk<T> {
  /** Sent once it is open. */
  readonly opening: string;
  readonly connectMs: number;
  /** From there on; 0: that it opens is all there is to know. */
  readonly listenMs: number;
  onRefused(reason: string): T;
  onData(bytes: Uint8Array): T | undefined;
  onClosed(): T;
  /** Still open after `listenMs`. */
  onLimit(): T;
}

/** Opens one connection and closes it again once `talk` has come to a result. */
export async function converse<T>(address: Address, talk: Talk<T>, c: Call): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  const slow = `cannot connect within ${talk.connectMs} ms`;
  let timer = setTimeout(() => resolve(talk.onRefused(slow)), talk.connectMs);
  const opened = () => {
    clearTimeout(timer);
    if (talk.listenMs === 0) return resolve(talk.onLimit());
    timer = setTimeout(() => resolve(talk.onLimit()), talk.listenMs);
  };
  const opening = open(address, talk, opened, resolve);
  try {
    return await abortable(promise, c.signal);
  } finally {
    clearTimeout(timer);
    // Bun.connect can't be aborted: a connection that comes late is closed when it does.
    void opening.then((socket) => {
      clearTimeout(timer);
      socket?.terminate();
    });
  }
}

async function open<T>(
  { host, port }: Address,
  talk: Talk<T>,
  opened: () => void,
  settle: (result: T) => void,
): Promise<Bun.Socket | null> {
  try {
    return await Bun.connect({
      hostname: host,
      port,
      socket: {
        open: (socket) => {
          if (talk.opening !== "") socket.write(talk.opening);
          opened();
        },
        data: (_, bytes) => {
          const result = talk.onData(bytes);
          if (result !== undefined) settle(result);
        },
        close: () => settle(talk.onClosed()),
        error: () => settle(talk.onClosed()),
      },
    });
  } catch (error) {
    settle(talk.onRefused(refusal(error)));
    return null;
  }
}

function refusal(error: unknown): string {
  return systemCode(error) === "ECONNREFUSED"
    ? "connection refused"
    : `cannot connect (${systemCode(error)})`;
}

export function urlOf({ host, port }: Address, path: string): string {
  return `http://${addressText({ host, port })}${path}`;
}
