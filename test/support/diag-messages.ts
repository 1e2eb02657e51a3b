/** Datagrams of NETLINK_SOCK_DIAG (linux/netlink.h, linux/inet_diag.h). */
export const [v4, v6] = [2, 10];
export const [error, done, diag] = [2, 3, 20];

/** struct nlmsghdr, as the answer to request `seq`, and what follows; flag 2: there is more to come. */
export function message(seq: number, type: number, payload: readonly number[], flags = 0): number[] {
  const bytes = new Uint8Array(16 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, seq, true);
  bytes.set(payload, 16);
  return [...bytes];
}

export function int(value: number): number[] {
  return [value, value >> 8, value >> 16, value >> 24].map((byte) => byte & 0xff);
}

export function padded(bytes: readonly number[], length: number): number[] {
  return [...bytes, ...Array<number>(length - bytes.length).fill(0)];
}

export interface SocketFields {
  readonly family: number;
  readonly state: number;
  readonly port: number;
  readonly remotePort: number;
  /** Of both ends. */
  readonly address: readonly number[];
  readonly inode: number;
}

/** struct inet_diag_msg, without attributes. */
export function diagSocket({ family, state, port, remotePort, address, inode }: SocketFields): number[] {
  const ports = [port, remotePort].flatMap((each) => [each >> 8, each & 0xff]);
  const ends = [...ports, ...padded(address, 16), ...padded(address, 16)];
  return [...padded([family, state, 0, 0, ...ends], 68), ...int(inode)];
}
