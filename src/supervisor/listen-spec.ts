/** Where an app listens: a TCP port on one host or on all, or a unix socket. */
export type ListenSpec =
  | { readonly kind: "tcp"; readonly host: string | null; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** The name server-starter gives a listener: `8000`, `127.0.0.1:8000`, `[::1]:8000`, `/run/app.sock`. */
export function listenName(spec: ListenSpec): string {
  if (spec.kind === "unix") return spec.path;
  if (spec.host === null) return String(spec.port);
  return spec.host.includes(":") ? `[${spec.host}]:${spec.port}` : `${spec.host}:${spec.port}`;
}
