import { DewyError } from "../../errors.ts";
import { flag, text } from "../../util/query.ts";
import { urlOfKey } from "../key.ts";

/** One bucket, and where in it. */
export interface S3Options {
  /** `s3://region/bucket/prefix`, escaped, without query. */
  readonly url: string;
  readonly region: string;
  readonly bucket: string;
  /** `a/b`; empty: the whole bucket. */
  readonly prefix: string;
  /** `https://host[:port][/path]`; null: AWS, or what the environment names. */
  readonly endpoint: string | null;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`; null: where an endpoint is named. */
  readonly pathStyle: boolean | null;
}

/** The query parameters of every `s3://` URL, for readQuery. */
export const s3Params = { endpoint, region, "path-style": flag };

export interface S3Query {
  readonly endpoint: string | null;
  readonly region: string | null;
  readonly "path-style": boolean | null;
}

/** `s3://region/bucket/prefix`; `query` is what readQuery made of `s3Params`. Anything wrong is `config-invalid`. */
export function readS3Url(url: URL, query: S3Query): S3Options {
  refuseCredentials(url);
  // new URL() takes the query for a part of the fragment.
  if (url.hash !== "") throw invalid("the S3 URL has a #", "write # as %23");
  const [bucket = "", ...prefix] = pathOf(url);
  const where = query.region ?? (url.host === "" ? null : readRegion(url.host));
  if (where === null) throw invalid("the S3 URL names no region", "write s3://eu-central-1/bucket/prefix");
  if (bucket === "") {
    throw invalid("the S3 URL names no bucket", "write s3://region/bucket/prefix, the region first");
  }
  if (!isBucketName(bucket)) {
    throw invalid(
      `the S3 URL's bucket "${bucket}" can be none`,
      "a bucket has 3 to 63 small letters, digits, dots and hyphens; the region comes before it: s3://region/bucket/prefix",
    );
  }
  const root = `s3://${where}/${bucket}`;
  return {
    url: prefix.length === 0 ? root : urlOfKey(root, prefix.join("/")),
    region: where,
    bucket,
    prefix: prefix.join("/"),
    endpoint: query.endpoint,
    pathStyle: query["path-style"],
  };
}

/** `https://host[:port][/path]`, without `/` at its end; throws an Error that says what would be right. */
export function readEndpoint(value: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.host === "") {
    throw new Error("is no address; write https://host:port");
  }
  // The value is not repeated: it may hold a password.
  if (url.username !== "" || url.password !== "") {
    throw new Error("holds credentials; put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }
  if (url.search !== "" || url.hash !== "") throw new Error("has a query; write https://host:port");
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function endpoint(value: string): string {
  return readEndpoint(text(value));
}

function region(value: string): string {
  if (!isRegion(value)) throw new Error(`is "${value}"; write a region's name, such as eu-central-1`);
  return value;
}

function readRegion(host: string): string {
  if (isRegion(host)) return host;
  throw invalid(
    `the S3 URL's region "${host}" can be none`,
    "write s3://region/bucket/prefix; a server of your own comes as ?endpoint=https://host:port",
  );
}

function isRegion(value: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(value);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
function isBucketName(name: string): boolean {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) return false;
  return !/\.\.|\.-|-\./.test(name) && !/^\d+\.\d+\.\d+\.\d+$/.test(name);
}

function refuseCredentials(url: URL): void {
  if (url.username === "" && url.password === "") return;
  throw invalid(
    "the S3 URL holds credentials",
    "put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: command lines are seen by everybody on this host",
  );
}

/** The parts of the path, unescaped; a `/` at the end is ignored. */
function pathOf(url: URL): string[] {
  const path = url.pathname.replace(/^\//, "").replace(/\/$/, "");
  if (path === "") return [];
  const parts = path.split("/").map(unescaped);
  if (parts.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("/")))
    return parts;
  throw invalid(
    `the S3 URL's path ${url.pathname} has an empty part or ".."`,
    "write s3://region/bucket/prefix",
  );
}

function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid(`the S3 URL's path holds a wrong escape: ${part}`, "write % as %25");
  }
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
