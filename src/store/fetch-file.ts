import { DewyError, toDewyError } from "../errors.ts";
import { receive } from "../http/receive.ts";
import type { Digest } from "../release/release.ts";
import type { ArtifactBody, ResumePoint } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import { PartFile } from "../util/part-file.ts";
import type { Clock } from "../util/time.ts";
import type { ObjectStore, Version } from "./store.ts";

/**
 * ObjectStore.fetchFile over ObjectStore.get: streams an object to `toPath` and answers the digest of what came; null
 * when there is none. Goes on after a cut, or starts over when the object changed meanwhile. The file is whole,
 * checked and durable when it resolves; nothing is left when it rejects. `filesystem` when `toPath` is there already.
 */
export async function fetchInto(
  store: Pick<ObjectStore, "get">,
  key: string,
  toPath: string,
  { clock }: { readonly clock: Clock },
  c: Call,
): Promise<Digest | null> {
  const doing = `fetch ${key}`;
  c.signal.throwIfAborted();
  // What the bytes must be. Some services say it of whole objects only, so a version's first answer counts.
  const stored: { version: Version | null; digest: Digest | null } = { version: null, digest: null };
  const open = async (resume: ResumePoint | null, call: Call): Promise<ArtifactBody | null> => {
    const object = await store.get(key, resume, call);
    if (object === null) return null;
    if (stored.version !== object.version) stored.digest = null;
    stored.version = object.version;
    stored.digest ??= object.digest;
    const { chunks, offset, sizeBytes, version } = object;
    return { chunks, offset, totalBytes: sizeBytes, validator: version };
  };
  try {
    await using part = await PartFile.create(toPath);
    if (!(await receive(part, { doing, open, sizeBytes: null, clock }, c))) return null;
    const digest = part.digest();
    if (stored.digest !== null && stored.digest !== digest) {
      throw new DewyError("digest-mismatch", `${doing}: got ${digest}, stored as ${stored.digest}`, {
        hint: "delete the object: it is not what its writer stored",
      });
    }
    await part.finish(c);
    return digest;
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, doing);
  }
}
