import type { Digest } from "../release/release.ts";
import { readLabels } from "../replicas/labels.ts";
import type { Container } from "./runtime.ts";

/** A version that containers of an app run. */
export interface RunningVersion {
  readonly version: string;
  /** null: its containers are the original's, which don't say. */
  readonly digest: Digest | null;
  readonly deployedAt: Date;
  /** As the containers name it. */
  readonly image: string;
  readonly imageId: string;
}

/** Which version runs, told by its containers alone; of several the one deployed last. null: none. */
export function runningVersion(containers: readonly Container[], root: string): RunningVersion | null {
  const running = containers.flatMap((container) => {
    const labels = readLabels(container.labels);
    if (container.status !== "running" || labels === null || labels.version === null) return [];
    if (labels.root !== null && labels.root !== root) return [];
    const { version, digest, deployedAt } = labels;
    return [
      {
        version,
        digest: isDigest(digest) ? digest : null,
        deployedAt: deployedAt ?? container.createdAt,
        image: container.image,
        imageId: container.imageId,
      },
    ];
  });
  return running.sort((a, b) => b.deployedAt.getTime() - a.deployedAt.getTime())[0] ?? null;
}

function isDigest(text: string | null): text is Digest {
  return text !== null && /^sha256:[0-9a-f]{64}$/.test(text);
}
