import { FFIType, ptr } from "bun:ffi";
import { closeSync } from "node:fs";
import { checked, lazily, load } from "./libc.ts";

/** A datagram at a time to the kernel and back (netlink(7)). None of it waits: it answers within the call that asks. */
export interface NetlinkSocket extends Disposable {
  /** Fails when it is not taken. */
  send(request: ArrayBuffer): void;
  /** Good until the next call. Fails when there is none, or it is too long. */
  receive(): Uint8Array;
}

export const NETLINK_SOCK_DIAG = 4;

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
/** The kernel makes no part of a dump longer (linux/netlink.h). */
const answerBytes = 32 * 1024;

const { i32, u64, pointer } = FFIType;
const libc = lazily(() =>
  load({
    socket: { args: [i32, i32, i32], returns: i32 },
    send: { args: [i32, pointer, u64, i32], returns: i32 },
    recv: { args: [i32, pointer, u64, i32], returns: i32 },
  } as const),
);
const answer = lazily(() => new ArrayBuffer(answerBytes));

/** Linux only. */
export function openNetlink(protocol: number): NetlinkSocket {
  const fd = checked("socket", libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol));
  return {
    send(request) {
      checked("send", libc().send(fd, ptr(request), request.byteLength, MSG_DONTWAIT));
    },
    receive() {
      const size = checked("recv", libc().recv(fd, ptr(answer()), answerBytes, MSG_DONTWAIT | MSG_TRUNC));
      if (size > answerBytes) throw new Error("an answer is too long");
      return new Uint8Array(answer(), 0, size);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
