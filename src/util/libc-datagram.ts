import { FFIType, ptr } from "bun:ffi";
import { closeSync } from "node:fs";
import { AF_UNIX, checked, lazily, load } from "./libc.ts";
import { abstractAddress, unixAddress } from "./sockaddr.ts";

/** Datagrams to a unix socket (unix(7)), which Bun has no API for. Linux only, as are the programs that listen. */
const { i32, u32, u64, pointer } = FFIType;

const libc = lazily(() =>
  load({
    socket: { args: [i32, i32, i32], returns: i32 },
    sendto: { args: [i32, pointer, u64, i32, pointer, u32], returns: i32 },
  } as const),
);

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Of sun_path, where a path's own end needs one byte more. */
const maxNameBytes = 108;

/** A path, or with `@` before it a name in the abstract namespace. Throws LibcError; never waits for the reader. */
export function sendDatagram(to: string, text: string): void {
  const address = addressOf(to);
  const bytes = terminated(text);
  const fd = checked("socket", libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    const length = BigInt(bytes.byteLength - 1);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    checked("sendto", libc().sendto(fd, ptr(bytes), length, flags, ptr(address), address.byteLength));
  } finally {
    closeSync(fd);
  }
}

function addressOf(to: string): ArrayBuffer {
  const isAbstract = to.startsWith("@");
  const nameBytes = Buffer.byteLength(to) + (isAbstract ? 0 : 1);
  if (nameBytes > maxNameBytes) throw new RangeError(`a socket's name has at most ${maxNameBytes} bytes`);
  return isAbstract ? abstractAddress(to.slice(1)) : unixAddress(to);
}

/** One byte longer than the text: there is no pointer to an empty buffer. */
function terminated(text: string): ArrayBuffer {
  const encoded = Buffer.from(`${text}\0`);
  const bytes = new ArrayBuffer(encoded.length);
  new Uint8Array(bytes).set(encoded);
  return bytes;
}
