import { checksumFiles } from "./checksum-files.ts";
import type { DeployableRelease, ReleaseFile } from "./release.ts";

/**
 * What a release consists of, as 32 hex digits: changes when its artifact or a checksum file for it is replaced,
 * added or removed, without downloading anything. Notes and other platforms' files do not count.
 * `setup`, in the characters of a word: of how a host puts it into use, where that may be why it fails.
 */
export function fingerprint(release: DeployableRelease, setup: string): string {
  const checksums = checksumFiles(release.files, release.artifact.name).map((entry) => entry.file);
  const identity = JSON.stringify([release.artifact, ...checksums].map(identityOf));
  const hash = new Bun.CryptoHasher("sha256").update(identity).digest("hex").slice(0, 32);
  return setup === "" ? hash : `${hash}-${setup}`;
}

/** The setup that a fingerprint was made with. */
export function setupOf(print: string): string {
  return print.split("-")[1] ?? "";
}

/** The digest where the registry has one: uploading the same bytes again is no change. */
function identityOf(file: ReleaseFile): readonly (string | number | null)[] {
  return [file.name, file.digest ?? file.revision ?? file.sizeBytes];
}
