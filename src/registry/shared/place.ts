import { parseRepository } from "../../oci/reference.ts";
import { registryIn } from "./scope.ts";

/** What a gRPC registry's server may name; see grpc/answer.ts. */
const grpcSchemes: readonly string[] = ["ghr:", "s3:", "gs:", "https:"];
const maxGrpcUrlChars = 4096;

/**
 * Whether a registry of this scope may give such an artifact URL: one below its own place, and of a gRPC server one
 * that grpc/answer.ts lets through. Who writes to the cache can't send hosts elsewhere.
 */
export function mayName(scope: string, artifactUrl: string): boolean {
  const registry = URL.parse(registryIn(scope));
  if (registry === null || !/^[\x21-\x7e]+$/.test(artifactUrl) || artifactUrl.includes("\\")) return false;
  switch (registry.protocol) {
    case "grpc:":
      return isForeign(artifactUrl);
    case "img:":
    case "docker:":
      return isImageOf(registry, artifactUrl);
    case "ghr:":
    case "s3:":
    case "gs:":
    case "file:":
      return isBelow(registry, artifactUrl);
    default:
      return URL.parse(artifactUrl)?.protocol === registry.protocol;
  }
}

export function isImageScope(scope: string): boolean {
  return /^(?:img|docker):/.test(scope);
}

export function isGrpcScope(scope: string): boolean {
  return scope.startsWith("grpc:");
}

function isForeign(artifactUrl: string): boolean {
  const url = artifactUrl.length <= maxGrpcUrlChars ? URL.parse(artifactUrl) : null;
  if (url === null || !grpcSchemes.includes(url.protocol)) return false;
  return [url.username, url.password, url.search, url.hash].every((part) => part === "");
}

/** Docker Hub has several names, so it is asked how the image's repository is called. */
function isImageOf(registry: URL, artifactUrl: string): boolean {
  const { host, name } = parseRepository(registry, null);
  const place = `img://${host}/${name}`;
  const reference = artifactUrl.slice(place.length);
  return (
    artifactUrl.startsWith(place) && /^(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?(?<=.)$/.test(reference)
  );
}

/** By their unescaped parts: a registry's URL may be escaped in another way than those it gives. */
function isBelow(registry: URL, artifactUrl: string): boolean {
  const [, scheme, host = "", path = ""] = /^([a-z0-9]+:)\/\/([^/?#@]*)\/([^?#]+)$/.exec(artifactUrl) ?? [];
  const isGithub = scheme === "ghr:";
  const norm = (text: string) => (isGithub ? text.toLowerCase() : text);
  // `region=` may name another region than the URL does; the store opens no other than its own.
  const isHost = scheme === "s3:" || norm(host) === norm(registry.host);
  const own = partsOf(registry.pathname)?.filter((part) => part !== "");
  const given = partsOf(path);
  if (scheme !== registry.protocol || !isHost || own === undefined || given === null) return false;
  const below = given.slice(own.length);
  const isOwn = own.every((part, index) => norm(part) === norm(given[index] ?? ""));
  return isOwn && below.length > 0 && below.every((part) => part.split("/").every(isPlain));
}

/** null: badly escaped. */
function partsOf(path: string): string[] | null {
  try {
    return path.split("/").map(decodeURIComponent);
  } catch {
    return null;
  }
}

function isPlain(part: string): boolean {
  return part !== "" && part !== "." && part !== ".." && !/[\\\p{Cc}\p{Cs}]/u.test(part);
}
