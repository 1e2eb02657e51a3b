import { connect, type Socket } from "node:net";

/**
 * A TCP connection, its name resolved as all other programs of the host do. nodemailer would ask the DNS first, past
 * /etc/hosts, and remember the answer for minutes. Rejects with the system's error, or the signal's reason.
 */
export function openSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, autoSelectFamily: true });
  const onAbort = () => {
    socket.destroy();
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  // Stays: one that nobody listens to would end the process.
  socket.on("error", reject);
  socket.once("connect", () => resolve(socket));
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}
