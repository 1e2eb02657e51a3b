/**
 * Image names as the seam spells them, with their host: Docker leaves out its hub's (`nginx`, `user/app`), Podman
 * names it, and calls `localhost/app` what was built here.
 */

const hub = "docker.io";
const hubAliases: ReadonlySet<string> = new Set([hub, "index.docker.io"]);

/** `nginx` → `docker.io/library/nginx`. Neither tag nor digest. */
export function fullRepository(name: string): string {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasHost = /[.:]/.test(first) || first === "localhost";
  const host = hasHost ? first : hub;
  const path = hasHost ? name.slice(slash + 1) : name;
  if (!hubAliases.has(host)) return `${host}/${path}`;
  return `${hub}/${path.includes("/") ? path : `library/${path}`}`;
}

/** `nginx:1` → `docker.io/library/nginx:1`, `nginx@sha256:…` likewise; undefined for `<none>:<none>`. */
export function fullReference(reference: string): string | undefined {
  if (reference.includes("<none>")) return undefined;
  const name = repositoryIn(reference);
  return `${fullRepository(name)}${reference.slice(name.length)}`;
}

/** The name without tag and digest. */
export function repositoryIn(reference: string): string {
  const named = reference.split("@")[0] ?? "";
  const colon = named.lastIndexOf(":");
  return colon > named.lastIndexOf("/") ? named.slice(0, colon) : named;
}

/** `host:5000/app/web` → `host:5000`. */
export function hostOf(repository: string): string {
  return fullRepository(repository).split("/")[0] ?? "";
}

/** `host:5000/app/web` → `app/web`. */
export function pathOf(repository: string): string {
  return fullRepository(repository).slice(hostOf(repository).length + 1);
}
