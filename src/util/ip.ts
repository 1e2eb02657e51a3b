/**
 * Whether a text is an IP address literal. `node:net` has the same, but loading it costs an idle agent 6 MiB.
 */
export function isIPv4(text: string): boolean {
  return (
    /^(\d{1,3}\.){3}\d{1,3}$/.test(text) &&
    text.split(".").every((part) => /^(0|[1-9]\d*)$/.test(part) && Number(part) <= 255)
  );
}

/** Without a zone (`%eth0`). */
export function isIPv6(text: string): boolean {
  return /^[0-9a-f:.]+$/i.test(text) && text.includes(":") && URL.canParse(`http://[${text}]/`);
}

/** The 16 bytes of an IPv6 literal: URL turns every spelling into the canonical one (RFC 5952). */
export function ipv6Bytes(literal: string): number[] {
  const canonical = new URL(`http://[${literal}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const words = (text: string) =>
    text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16));
  const left = words(head);
  const right = words(tail ?? "");
  const zeros = Array<number>(tail === undefined ? 0 : 8 - left.length - right.length).fill(0);
  return [...left, ...zeros, ...right].flatMap((word) => [word >> 8, word & 0xff]);
}

/** In network byte order: 4 of IPv4, 16 of IPv6. */
export function addressBytes(host: string): number[] {
  return isIPv4(host) ? host.split(".").map(Number) : ipv6Bytes(host);
}
