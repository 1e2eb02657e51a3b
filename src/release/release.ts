/** The domain's words. A release flows as Release → StagedArtifact → Activation → DeployRecord. */

/** `sha256:` and 64 lower-case hex digits. */
export type Digest = `sha256:${string}`;

/** One file published with a release: the artifact itself, a checksum file, a note. */
export interface ReleaseFile {
  readonly name: string;
  /** Where to fetch it, in the scheme of its source (`ghr://…`, `file:///…`). Never holds a secret. */
  readonly url: string;
  readonly sizeBytes: number | null;
  /** What the registry itself says the content's digest is, if it does. */
  readonly digest: Digest | null;
  /** Changes when the content does (ETag, asset id and time, size and mtime); null where there is none. */
  readonly revision: string | null;
}

export interface Release {
  readonly tag: string;
  /** The tag is a name that comes to mean other content (`latest`): another digest is another release. */
  readonly moving?: boolean;
  readonly createdAt: Date | null;
  /** The file for this host; null when the release has none (not yet, while it is being published). */
  readonly artifact: ReleaseFile | null;
  /** All files of the release, the artifact included. */
  readonly files: readonly ReleaseFile[];
}

/** A release whose artifact is there. */
export interface DeployableRelease extends Release {
  readonly artifact: ReleaseFile;
}

/** A release as it was put into use on this host. */
export interface PlacedRelease {
  readonly tag: string;
  readonly digest: Digest | null;
  /** The artifact's name. */
  readonly artifact: string;
  /** Its name on this host: of its directory, or of its containers' deployment. */
  readonly release: string;
  /** ISO 8601. */
  readonly since: string;
}

/** The key of an artifact in every cache: `{tag}--{file}`. */
export function artifactKey(tag: string, fileName: string): string {
  return `${tag}--${fileName}`;
}

/** The reverse of artifactKey; null when the text is none. Tags hold no `--` followed by a file name of ours. */
export function parseArtifactKey(key: string): { tag: string; fileName: string } | null {
  const at = key.indexOf("--");
  if (at <= 0 || at + 2 >= key.length) return null;
  return { tag: key.slice(0, at), fileName: key.slice(at + 2) };
}

/** Why there was a deploy: a check found a release, an operator's order, or the agent's own way back. */
export type Cause = "check" | "deploy" | "rollback" | "retreat";

/** One deploy, as written to the history and reported to the registry. */
export interface DeployRecord {
  /** Unique; the same record reported twice is one report. */
  readonly id: string;
  readonly host: string;
  readonly command: "server" | "assets" | "container";
  readonly tag: string;
  readonly digest: Digest | null;
  readonly fromTag: string | null;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly durationMs: number;
  readonly result: "deployed" | "failed" | "rolled-back";
  readonly error?: string | undefined;
  /** Records of older dewys don't have it. */
  readonly cause?: Cause | undefined;
}
