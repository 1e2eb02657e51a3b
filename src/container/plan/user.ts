/** Who the container runs as. */
export interface ReplicaUser {
  /** For the engine; null: the image's USER. */
  readonly user: string | null;
  /** It runs as root and nobody asked for that: worth one warning per image. */
  readonly rootByDefault: boolean;
}

export interface UserQuestion {
  /** `--user`; null: not given. */
  readonly chosen: string | null;
  /** The image's USER; empty: root. */
  readonly image: string;
  readonly agent: { readonly uid: number; readonly gid: number };
}

/**
 * `--user` wins; the image's USER is kept; a root image runs as the agent's user, so that an agent that is not root
 * gives nobody root.
 */
export function replicaUser({ chosen, image, agent }: UserQuestion): ReplicaUser {
  if (chosen !== null) return { user: chosen, rootByDefault: false };
  if (!isRoot(image)) return { user: null, rootByDefault: false };
  if (agent.uid === 0) return { user: null, rootByDefault: true };
  return { user: `${agent.uid}:${agent.gid}`, rootByDefault: false };
}

function isRoot(user: string): boolean {
  const name = user.split(":", 1)[0] ?? "";
  return name === "" || name === "root" || /^0+$/.test(name);
}
