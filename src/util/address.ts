/** Where a TCP server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** As URLs write it: `127.0.0.1:80`, `[::1]:80`. */
export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
