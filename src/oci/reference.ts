import { DewyError } from "../errors.ts";
import { isIPv4 } from "../util/ip.ts";

/** A repository of a registry that speaks the OCI distribution protocol. */
export interface Repository {
  /** As the engine names it, with its port: `docker.io`, `ghcr.io`, `127.0.0.1:5000`, `[::1]:5000`. */
  readonly host: string;
  /** Without the host: `library/nginx`. */
  readonly name: string;
  /** Where its API is: `https://registry-1.docker.io`. */
  readonly origin: string;
  /**
   * `tls` and `loopback` keep credentials private; `clear-asked` is plain HTTP because the operator wrote
   * `insecure=true`, `clear-implied` because the host is an address with a port.
   */
  readonly transport: "tls" | "loopback" | "clear-asked" | "clear-implied";
}

const dockerHub = "docker.io";
const dockerHubHosts: readonly string[] = [dockerHub, "index.docker.io", "registry-1.docker.io"];
const dockerHubOrigin = "https://registry-1.docker.io";

const label = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const hostGrammar = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9a-f:.]+\\])(?::[0-9]+)?$`);
/** The distribution specification's `<name>`. */
const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const nameGrammar = new RegExp(`^${component}(?:/${component})*$`);
const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** Engines count the host too. */
const maxNameLength = 255;

/** The specification's `<reference>` as a tag. */
export function isTag(text: string): boolean {
  return tagGrammar.test(text);
}

/**
 * `img://host[:port]/name`, `docker://…`. `insecure` as it was written, null: not at all; then `localhost`, loopback
 * addresses and addresses with a port are asked over plain HTTP, all others over HTTPS. `config-invalid` otherwise.
 */
export function parseRepository(url: URL, insecure: boolean | null): Repository {
  if (url.username !== "" || url.password !== "") {
    throw invalid(
      "the registry URL holds credentials",
      "leave them out: use docker login, or see DOCKER_USERNAME",
    );
  }
  const host = hubHost(url.host.toLowerCase());
  const path = url.pathname.replace(/^\//, "").replace(/\/$/, "");
  checkHost(host, path);
  const name = host === dockerHub && !path.includes("/") ? `library/${path}` : path;
  checkName(host, path, name);
  if (url.hash !== "")
    throw invalid(`${host}/${name}: the URL has a fragment`, "leave out the # and all after it");
  if (host === dockerHub) {
    if (insecure === true) throw invalid("docker.io is reached over HTTPS only", "leave out insecure=true");
    return { host, name, origin: dockerHubOrigin, transport: "tls" };
  }
  const transport = transportTo(host, insecure);
  const origin = new URL(`${transport === "tls" ? "https" : "http"}://${host}`).origin;
  return { host, name, origin, transport };
}

/** Docker Hub has several names; engines know the one. */
export function hubHost(host: string): string {
  return dockerHubHosts.includes(host.replace(/:443$/, "")) ? dockerHub : host;
}

export function isLoopback(host: string): boolean {
  const name = hostWithoutPort(host);
  return name === "localhost" || name === "[::1]" || (isIPv4(name) && name.startsWith("127."));
}

export function hostWithoutPort(host: string): string {
  return host.replace(/:[0-9]+$/, "");
}

function transportTo(host: string, insecure: boolean | null): Repository["transport"] {
  if (insecure === false) return "tls";
  if (isLoopback(host)) return "loopback";
  if (insecure === true) return "clear-asked";
  const name = hostWithoutPort(host);
  const address = name.startsWith("[") || isIPv4(name);
  return address && name !== host ? "clear-implied" : "tls";
}

function checkHost(host: string, path: string): void {
  if (!hostGrammar.test(host) || !URL.canParse(`http://${host}`)) {
    throw invalid("the registry URL does not name a host", "write img://ghcr.io/owner/app");
  }
  // An engine would take the first part of `registry/app` for an owner on Docker Hub.
  if (!/[.:]/.test(host) && host !== "localhost") {
    throw invalid(
      `"${host}" is not a full host name`,
      path === ""
        ? `for an image of Docker Hub write img://docker.io/${host}`
        : `for Docker Hub write img://docker.io/${host}/…; for a host of that name add its port`,
    );
  }
}

function checkName(host: string, path: string, name: string): void {
  if (path === "") throw invalid(`img://${host} names no image`, `write img://${host}/name`);
  if (path.includes("@")) {
    throw invalid(
      "the registry URL names a digest",
      "leave it out: releases are chosen by constraint= or tag=",
    );
  }
  if (path.includes(":")) {
    throw invalid(
      "the registry URL names a tag",
      "leave it out: write constraint=~1.4 for a range of versions, or tag=NAME to follow one tag",
    );
  }
  if (!nameGrammar.test(name)) {
    const hint = nameGrammar.test(name.toLowerCase())
      ? "image names are written in lower case"
      : "a name is made of lower-case letters, digits, and single . _ - between them, in parts joined by /";
    throw invalid("the registry URL does not name an image", hint);
  }
  if (host.length + 1 + name.length > maxNameLength) {
    throw invalid("the image's name is too long", `host and name may have ${maxNameLength} characters`);
  }
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
