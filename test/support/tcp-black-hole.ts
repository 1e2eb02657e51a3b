import { dlopen, FFIType } from "bun:ffi";
import { connectPeer, startPeerServer, type TcpPeer } from "./tcp-peer.ts";
import { until } from "./until.ts";

const { i32 } = FFIType;

/**
 * A port whose connects get no answer: its backlog is full, so the kernel drops what comes (Linux). `answer()` makes
 * room and returns the connection that was waiting longest, once the kernel has sent its SYN again.
 */
export function startBlackHole(): Disposable & { readonly port: number; answer(): Promise<TcpPeer> } {
  const libc = dlopen("libc.so.6", {
    fcntl: { args: [i32, i32, i32], returns: i32 },
    listen: { args: [i32, i32], returns: i32 },
    close: { args: [i32], returns: i32 },
  }).symbols;
  const server = startPeerServer();
  const fd = libc.fcntl(server.fd, 1030, 0);
  server.pause();
  libc.listen(fd, 0);
  const filler = connectPeer(server.port);
  return {
    port: server.port,
    async answer() {
      await filler;
      server.resume(libc.fcntl(fd, 1030, 0));
      return until("the late connection", () => server.peers[1]);
    },
    [Symbol.dispose]() {
      server.stop();
      libc.close(fd);
    },
  };
}
