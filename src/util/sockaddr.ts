import { ipv6Bytes } from "./ip.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "./libc.ts";

/** `struct sockaddr_in` (ip(7)). */
export function ipv4Address(host: string, port: number): ArrayBuffer {
  const { buffer, bytes, view } = address(AF_INET, 16);
  view.setUint16(2, port);
  bytes.set(host.split(".").map(Number), 4);
  return buffer;
}

/** `struct sockaddr_in6` (ipv6(7)). */
export function ipv6Address(host: string, port: number): ArrayBuffer {
  const { buffer, bytes, view } = address(AF_INET6, 28);
  view.setUint16(2, port);
  bytes.set(ipv6Bytes(host), 8);
  return buffer;
}

/** `struct sockaddr_un` (unix(7)). */
export function unixAddress(path: string): ArrayBuffer {
  const { buffer, bytes } = address(AF_UNIX, 110);
  bytes.set(new TextEncoder().encode(path), 2);
  return buffer;
}

/** The same of a name in the abstract namespace (Linux): behind a zero, and its end is the struct's. */
export function abstractAddress(name: string): ArrayBuffer {
  const encoded = new TextEncoder().encode(name);
  const { buffer, bytes } = address(AF_UNIX, 3 + encoded.length);
  bytes.set(encoded, 3);
  return buffer;
}

/** macOS puts a length byte before a one-byte family. */
function address(family: number, size: number): { buffer: ArrayBuffer; bytes: Uint8Array; view: DataView } {
  const buffer = new ArrayBuffer(size);
  const view = new DataView(buffer);
  if (process.platform === "darwin") {
    view.setUint8(0, size);
    view.setUint8(1, family);
  } else {
    view.setUint16(0, family, true);
  }
  return { buffer, bytes: new Uint8Array(buffer), view };
}
