import { DewyError } from "../../errors.ts";
import { flag } from "../../util/query.ts";

/** What a `gs://` URL says about where the objects are. */
export interface GcsOptions {
  readonly bucket: string;
  /** Without slashes at its ends; empty: the whole bucket. */
  readonly prefix: string;
  /** An origin; null: Google's, or the emulator's that STORAGE_EMULATOR_HOST names. */
  readonly endpoint: string | null;
  /** No credentials are looked for: the bucket is public. */
  readonly anonymous: boolean;
}

/** For readQuery, together with the parameters of the registry or cache. */
export const gcsParams = { endpoint: readOrigin, anonymous: flag };

interface GcsQuery {
  readonly endpoint: string | null;
  readonly anonymous: boolean | null;
}

const form = "write gs://bucket/prefix";

/** `gs://bucket/prefix?endpoint=https://storage.example&anonymous=true`; else `config-invalid`. */
export function readGcsUrl(url: URL, query: GcsQuery): GcsOptions {
  if (url.username !== "" || url.password !== "") {
    throw invalid("the gs:// URL holds credentials", "name a key file in GOOGLE_APPLICATION_CREDENTIALS");
  }
  if (url.hostname === "") throw invalid("the gs:// URL names no bucket", form);
  if (url.port !== "" || url.hash !== "") {
    throw invalid(
      `the URL gs://${url.host} has a port or a fragment`,
      `${form}; a port belongs to endpoint=`,
    );
  }
  const problem = bucketProblem(url.hostname);
  if (problem !== null) {
    throw invalid(`"${url.hostname}" is no bucket name: ${problem}`, `${form}, the name without a domain`);
  }
  return {
    bucket: url.hostname,
    prefix: readPrefix(url),
    endpoint: query.endpoint,
    anonymous: query.anonymous ?? false,
  };
}

/** https://cloud.google.com/storage/docs/buckets#naming */
function bucketProblem(name: string): string | null {
  if (!/^[a-z0-9._-]+$/.test(name)) return "it may hold only a-z, 0-9, -, _ and dots";
  if (!/^[a-z0-9].*[a-z0-9]$/.test(name)) return "it begins and ends with a letter or a digit";
  if (name.length < 3 || name.split(".").some((part) => part.length > 63) || name.length > 222) {
    return "it has 3 to 63 characters";
  }
  if (/^\d+(\.\d+){3}$/.test(name)) return "an IP address is none";
  return name.includes("..") ? "two dots follow each other" : null;
}

function readPrefix(url: URL): string {
  const prefix = decoded(url.pathname).replace(/^\/+|\/+$/g, "");
  if (prefix !== "" && prefix.split("/").some((part) => part === "" || part === "." || part === "..")) {
    throw invalid(`the prefix "${prefix}" has an empty part, "." or ".."`, form);
  }
  return prefix;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw invalid(`the prefix "${path}" is not well encoded`, "write a percent sign as %25");
  }
}

/** An HTTP origin; throws an Error that says what would be right. */
export function readOrigin(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Error("is no HTTP address; write for example https://storage.example:4443");
  }
  if (url.username !== "" || url.password !== "") throw new Error("holds credentials, which it may not");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new Error(`has more than a host; write ${url.origin}`);
  }
  return url.origin;
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
