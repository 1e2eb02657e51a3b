import type { ReleaseFile } from "./release.ts";

/** Endings of a checksum file that belongs to one artifact, the most usual first. */
const sidecarSuffixes = [".sha256", ".sha256sum", ".sha256.txt", ".sha256sums"];

/** `SHA256SUMS`, `checksums.txt`, `app_1.2.3_checksums.txt`, `app-SHA256SUMS`, `checksums_sha256.txt`, any case. */
const aggregateName = /^(?:.+[._-])?(?:sha256sums?|checksums?(?:[._-]sha256)?)(?:\.txt)?$/i;

export interface ChecksumFile {
  readonly file: ReleaseFile;
  /** A sidecar speaks of one artifact and may hold the digest alone. */
  readonly kind: "sidecar" | "aggregate";
}

/** The files to look an artifact's digest up in, in this order: its own sidecars, then the aggregates. */
export function checksumFiles(files: readonly ReleaseFile[], artifactName: string): readonly ChecksumFile[] {
  const sidecars = sidecarSuffixes.flatMap((suffix) =>
    files.filter((file) => isSidecar(file.name, artifactName, suffix)),
  );
  const aggregates = files
    .filter((file) => aggregateName.test(file.name) && !isAnySidecar(file.name, files))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    ...sidecars.map((file): ChecksumFile => ({ file, kind: "sidecar" })),
    ...aggregates.map((file): ChecksumFile => ({ file, kind: "aggregate" })),
  ];
}

function isSidecar(name: string, artifactName: string, suffix: string): boolean {
  return name.startsWith(artifactName) && name.slice(artifactName.length).toLowerCase() === suffix;
}

/** `app_arm64.zip.sha256sum` looks like an aggregate but speaks of another artifact only. */
function isAnySidecar(name: string, files: readonly ReleaseFile[]): boolean {
  return files.some((file) => sidecarSuffixes.some((suffix) => isSidecar(name, file.name, suffix)));
}
