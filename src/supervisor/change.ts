/** A change of release: everything between the old generation alone and the new one alone. */
export interface Change {
  /**
   * `deploy`: a release that has to prove itself. `restart`: the one that runs. `return`: to one that was good, as what
   * runs is not: it is to be had even if its checks fail, too, as long as it stays up.
   */
  readonly kind: "deploy" | "restart" | "return";
  /** The release directory's name. */
  readonly release: string;
  /** Puts the release in place; runs once it has passed its rehearsal, and before the new generation starts. */
  prepare(): Promise<void>;
  /** Makes the change last; runs once the new generation has proved itself, before the old one goes. */
  commit(): Promise<void>;
  /** Takes back what `prepare` did. */
  undo(): Promise<void>;
}

/** The release stays; only the process is new. */
export function unchanged(release: string): Change {
  const nothing = async (): Promise<void> => undefined;
  return { kind: "restart", release, prepare: nothing, commit: nothing, undo: nothing };
}
