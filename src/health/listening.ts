import type { ListeningSocket } from "../util/socket-table.ts";

/**
 * What the kernel says of a port in a container's network: `loopback-only`: served on the container's own loopback
 * only, where nobody outside can reach it; null: can't be told.
 */
export type Listening = "yes" | "no" | "loopback-only" | null;

export function listeningOn(sockets: readonly ListeningSocket[], port: number): Exclude<Listening, null> {
  const there = sockets.filter((socket) => socket.port === port);
  if (there.length === 0) return "no";
  return there.every(({ address }) => isLoopback(address)) ? "loopback-only" : "yes";
}

/** Each 32-bit word in host order, which is little-endian wherever dewy runs. */
function isLoopback(address: string): boolean {
  if (address.length === 8) return address.endsWith("7F");
  return address === "00000000000000000000000001000000" || /^0{16}FFFF0000.{6}7F$/.test(address);
}
