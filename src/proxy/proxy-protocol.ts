import { addressBytes, isIPv4 } from "../util/ip.ts";
import type { ProxyProtocol } from "./options.ts";

/** Both ends of a client's connection, as the proxy's socket sees them. */
export interface Endpoints {
  readonly sourceHost: string;
  readonly sourcePort: number;
  readonly targetHost: string;
  readonly targetPort: number;
}

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const version2Local = 0x20;
const version2Proxy = 0x21;
const tcp4 = 0x11;
const tcp6 = 0x21;

/**
 * The header a backend gets before the client's first byte, after "The PROXY protocol, versions 1 & 2" (haproxy,
 * doc/proxy-protocol.txt, sections 2.1 and 2.2). IPv4 in IPv6 clothes is TCP4; addresses that can't be told
 * (`null`) are `UNKNOWN` in version 1, `LOCAL` in version 2.
 */
export function proxyHeader(version: ProxyProtocol, endpoints: Endpoints | null): Uint8Array {
  const plain = endpoints === null ? null : normalized(endpoints);
  return version === "v1" ? textHeader(plain) : binaryHeader(plain);
}

function textHeader(ends: Endpoints | null): Uint8Array {
  if (ends === null) return new TextEncoder().encode("PROXY UNKNOWN\r\n");
  const family = isIPv4(ends.sourceHost) ? "TCP4" : "TCP6";
  const line = [family, ends.sourceHost, ends.targetHost, ends.sourcePort, ends.targetPort].join(" ");
  return new TextEncoder().encode(`PROXY ${line}\r\n`);
}

function binaryHeader(ends: Endpoints | null): Uint8Array {
  if (ends === null) return Uint8Array.from([...signature, version2Local, 0, 0, 0]);
  const addresses = [...addressBytes(ends.sourceHost), ...addressBytes(ends.targetHost)];
  const ports = [...portBytes(ends.sourcePort), ...portBytes(ends.targetPort)];
  const family = isIPv4(ends.sourceHost) ? tcp4 : tcp6;
  const length = portBytes(addresses.length + ports.length);
  return Uint8Array.from([...signature, version2Proxy, family, ...length, ...addresses, ...ports]);
}

/** One family for both: where only one address is IPv4, it is written as IPv6. */
function normalized(ends: Endpoints): Endpoints {
  const hosts = [unmapped(ends.sourceHost), unmapped(ends.targetHost)];
  const mixed = hosts.some(isIPv4) && !hosts.every(isIPv4);
  const [sourceHost = "", targetHost = ""] = hosts.map((host) =>
    mixed && isIPv4(host) ? `::ffff:${host}` : host,
  );
  return { ...ends, sourceHost, targetHost };
}

/** `::ffff:192.0.2.1` → `192.0.2.1`; without a zone, which means nothing to another host. */
function unmapped(host: string): string {
  const [bare = ""] = host.split("%");
  const inner = /^::ffff:([\d.]+)$/i.exec(bare)?.[1];
  return inner !== undefined && isIPv4(inner) ? inner : bare;
}

function portBytes(port: number): number[] {
  return [port >> 8, port & 0xff];
}
