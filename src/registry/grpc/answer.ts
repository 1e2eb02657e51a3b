import { fromBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { DewyError, messageOf } from "../../errors.ts";
import type { Release, ReleaseFile } from "../../release/release.ts";
import { isSafeTag } from "../../release/tag.ts";
import { type CurrentResponse, CurrentResponseSchema } from "./registry_pb.ts";

/** What a server says is current. */
export interface Current {
  /** Of this very answer; a report names it. */
  readonly id: string;
  readonly release: Release;
}

const maxIdChars = 1024;
const maxUrlChars = 4096;
const maxNameBytes = 255;

/**
 * A `CurrentResponse` as a release. Whatever it holds becomes file names, log records and requests, so anything odd is
 * `bad-answer`. Any tag will do that is a safe name: the server chooses, by versions or not. `doing` begins every error.
 */
export function readCurrent(bytes: Uint8Array, schemes: readonly string[], doing: string): Current {
  const { id, tag, artifactUrl, createdAt } = decode(bytes, doing);
  if (id.length > maxIdChars || !/^[\x20-\x7e]*$/.test(id)) throw bad(doing, "an id that is no short text");
  if (tag === "") throw bad(doing, "no tag", "answer NOT_FOUND while there is no release");
  if (!isSafeTag(tag)) {
    throw bad(doing, "a tag that is no safe name", "letters, digits and . _ + ~ - make a tag, up to 128");
  }
  const artifact = artifactUrl === "" ? null : artifactOf(artifactUrl, schemes, doing);
  const files = artifact === null ? [] : [artifact];
  return { id, release: { tag, createdAt: dateOf(createdAt), artifact, files } };
}

function decode(bytes: Uint8Array, doing: string): CurrentResponse {
  try {
    return fromBinary(CurrentResponseSchema, bytes);
  } catch (error) {
    throw bad(doing, `something that is no CurrentResponse (${messageOf(error)})`);
  }
}

/** A server may give another id with each answer, so the address is what tells one artifact from another. */
function artifactOf(url: string, schemes: readonly string[], doing: string): ReleaseFile {
  const parsed = /^[\x21-\x7e]+$/.test(url) && url.length <= maxUrlChars ? URL.parse(url) : null;
  if (parsed === null || url.includes("\\")) throw bad(doing, "an artifact_url that is no URL");
  const scheme = parsed.protocol.slice(0, -1);
  if (!schemes.includes(scheme)) {
    throw bad(
      doing,
      `an artifact_url of the scheme ${scheme}:`,
      `artifacts are fetched from ${schemes.map((name) => `${name}://`).join(", ")}`,
    );
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw bad(doing, "an artifact_url with credentials", "credentials belong to the host's environment");
  }
  // Signed URLs carry their secret there, and a release's address is logged, cached and shared. And an endpoint= would
  // have this host's credentials sent wherever the registry says.
  if (parsed.hash !== "" || parsed.search !== "") {
    throw bad(
      doing,
      "an artifact_url with a query or a fragment",
      "answer a plain https:// URL, or s3:// or gs:// where the file is not public; an S3 server of your own goes into each host's AWS_ENDPOINT_URL",
    );
  }
  const name = nameOf(parsed);
  if (name === null) throw bad(doing, "an artifact_url whose last part is no file name");
  return { name, url, sizeBytes: null, digest: null, revision: url };
}

/** The last part of the path; null when it can't be a file's name here. */
function nameOf({ pathname }: URL): string | null {
  try {
    const name = decodeURIComponent(pathname.split("/").at(-1) ?? "");
    const safe = !/[/\\\p{C}]/u.test(name) && !/^[.-]|^$/.test(name);
    return safe && Buffer.byteLength(name) <= maxNameBytes ? name : null;
  } catch {
    return null; // badly escaped
  }
}

/** Go's unset time is the year 1: no time at all. */
function dateOf(timestamp: Timestamp | undefined): Date | null {
  const date = timestamp === undefined ? null : timestampDate(timestamp);
  return date !== null && date.getTime() > 0 ? date : null;
}

function bad(doing: string, what: string, hint = "correct what the gRPC registry answers"): DewyError {
  return new DewyError("bad-answer", `${doing}: the registry answered ${what}`, { hint });
}
