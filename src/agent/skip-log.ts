import { records } from "../events.ts";
import { duration, type Log } from "../log.ts";
import type { Release } from "../release/release.ts";
import { gracePeriodMs, type SkipReason, type Wait } from "./decide.ts";
import type { StateFile } from "./state.ts";

/** Why a check came to nothing: each time at DEBUG, and once at WARN where somebody may wait for a deploy. */
export class SkipLog {
  #graceWarned: string | null = null;
  #republished: string | null = null;
  #nothingWarned = false;

  constructor(private readonly deps: { readonly state: StateFile; readonly log: Log }) {}

  note(reason: SkipReason | Wait["reason"], release: Release | null): void {
    if (reason === "current") this.#noteRepublished(release);
    if (reason === "no-release") this.#noteNothing();
    else this.#nothingWarned = false;
    if (reason === "grace") this.#noteGrace(release);
    else this.deps.log.debug(records.skipped, { reason, tag: release?.tag });
  }

  /** A mistyped prefix, or a rule that nothing meets, looks just like that. */
  #noteNothing(): void {
    if (!this.#nothingWarned) {
      this.deps.log.warn("The registry has no release for this host", {
        hint: "check its URL, the tags' form, constraint=, pre-release=, calver and --slot",
      });
    }
    this.#nothingWarned = true;
  }

  #noteGrace(release: Release | null): void {
    const { log } = this.deps;
    const tag = release?.tag ?? null;
    const attributes = {
      message: "artifact not found",
      grace_period: duration(gracePeriodMs),
      tag: tag ?? undefined,
    };
    log.debug(records.withinGrace, attributes);
    if (this.#graceWarned !== tag) {
      const files = release?.files.map(({ name }) => name).join(", ");
      log.warn("Release has no artifact yet; waiting for it", { ...attributes, files: files || undefined });
    }
    this.#graceWarned = tag;
  }

  #noteRepublished(release: Release | null): void {
    const { state, log } = this.deps;
    const published = release?.artifact?.digest ?? null;
    const running = state.state.current?.digest ?? null;
    if (published === null || running === null || published === running) return;
    if (this.#republished === published) return;
    this.#republished = published;
    log.warn("Tag was published again with other content; what runs stays", {
      tag: release?.tag,
      digest: published,
      hint: "publish a new version",
    });
  }
}
