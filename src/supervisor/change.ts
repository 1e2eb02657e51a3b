/** A change of release: everything between the old generation alone and the new one alone. */
export interface Change {
  /** The release directory's name. */
  readonly release: string;
  /** Puts the release in place; runs before the new generation starts. */
  prepare(): Promise<void>;
  /** Makes the change last; runs once the new generation has proved itself, before the old one goes. */
  commit(): Promise<void>;
  /** Takes back what `prepare` did. */
  undo(): Promise<void>;
}

/** The release stays; only the process is new. */
export function unchanged(release: string): Change {
  const nothing = async (): Promise<void> => undefined;
  return { release, prepare: nothing, commit: nothing, undo: nothing };
}
