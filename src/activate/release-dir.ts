import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { basename, join } from "node:path";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { fsyncDirectory } from "../util/fs.ts";
import type { Clock } from "../util/time.ts";
import { releaseName } from "./release-name.ts";

/** Fills an empty directory with a release; on disk when it returns. */
export type Extract = (intoDir: string, c: Call) => Promise<void>;

const partialPrefix = ".partial-";
const namePattern = /^\d{8}T\d{6}Z$/;

/**
 * `<root>/releases/<UTC time>/` and `<root>/current`. A release appears whole or not at all, and `current` leads
 * to one at every moment; a crash leaves work in progress that `recover` removes.
 */
export class ReleaseDirectory {
  readonly path: string;
  readonly link: string;

  constructor(
    root: string,
    private readonly clock: Clock,
  ) {
    this.path = join(root, "releases");
    this.link = join(root, "current");
  }

  /** Fails with `filesystem` where this user can't make it. */
  prepare(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o755 });
    } catch (error) {
      throw toDewyError(error, `make ${this.path}`);
    }
  }

  pathOf(release: string): string {
    return join(this.path, release);
  }

  has(release: string): boolean {
    return namePattern.test(release) && existsSync(this.pathOf(release));
  }

  /** The release `current` leads to, if it leads to one of ours that is there. */
  active(): string | null {
    try {
      const release = basename(readlinkSync(this.link));
      // By the real path: a copied working directory's absolute link leads to the release it was copied from.
      const ours = this.has(release) && realpathSync(this.link) === realpathSync(this.pathOf(release));
      return ours ? release : null;
    } catch {
      return null; // none yet, dangling, or no link at all
    }
  }

  /** Extracts beside the releases and moves it among them in one step; answers the new release's name. */
  async stage(extract: Extract, c: Call): Promise<string> {
    const partial = join(this.path, `${partialPrefix}${crypto.randomUUID()}`);
    try {
      mkdirSync(partial, { recursive: true, mode: 0o755 });
      await extract(partial, c);
      // Whatever the umask: a web server of another user has to get in.
      chmodSync(partial, 0o755);
      const release = this.#freeName();
      renameSync(partial, this.pathOf(release));
      fsyncDirectory(this.path);
      return release;
    } catch (error) {
      rmSync(partial, { recursive: true, force: true });
      throw toDewyError(error, "place the release");
    }
  }

  /** Makes `current` lead to a release; at no moment is there no link. */
  switchTo(release: string): void {
    this.#linkTo(join("releases", release));
  }

  /** Where `current` leads, as the link has it; null when there is no link. */
  linkTarget(): string | null {
    try {
      return readlinkSync(this.link);
    } catch {
      return null; // nothing there, or no link: switchTo says which
    }
  }

  /** Makes `current` what it was when linkTarget() answered `target`. */
  restoreLink(target: string | null): void {
    try {
      if (target !== null) this.#linkTo(target);
      else if (lstatSync(this.link).isSymbolicLink()) unlinkSync(this.link);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw toDewyError(error, `remove ${this.link}`);
    }
  }

  #linkTo(target: string): void {
    const partial = `${this.link}.dewy-new`;
    try {
      rmSync(partial, { force: true });
      symlinkSync(target, partial);
      renameSync(partial, this.link);
      fsyncDirectory(join(this.path, ".."));
    } catch (error) {
      rmSync(partial, { force: true });
      throw this.#linkError(error);
    }
  }

  remove(release: string): void {
    if (namePattern.test(release)) rmSync(this.pathOf(release), { recursive: true, force: true });
  }

  /** Newest first. */
  list(): string[] {
    try {
      const names = readdirSync(this.path).filter((name) => namePattern.test(name));
      return names.sort().reverse();
    } catch (error) {
      if (systemCode(error) === "ENOENT") return [];
      throw toDewyError(error, "list the releases");
    }
  }

  /** Removes what a killed agent left in the middle of its work. */
  recover(): void {
    rmSync(`${this.link}.dewy-new`, { force: true });
    if (!existsSync(this.path)) return;
    for (const name of readdirSync(this.path)) {
      if (name.startsWith(partialPrefix)) rmSync(join(this.path, name), { recursive: true, force: true });
    }
  }

  /** The UTC time; the next free second where that is taken. */
  #freeName(): string {
    const time = this.clock.now();
    for (;;) {
      const name = releaseName(time);
      if (!existsSync(this.pathOf(name))) return name;
      time.setUTCSeconds(time.getUTCSeconds() + 1);
    }
  }

  #linkError(error: unknown): DewyError {
    if (
      systemCode(error) === "EISDIR" ||
      systemCode(error) === "ENOTEMPTY" ||
      systemCode(error) === "EEXIST"
    ) {
      return new DewyError("filesystem", `${this.link} is a directory, not a link`, {
        cause: error,
        hint: "move it away: dewy makes `current` a link to the active release",
      });
    }
    return toDewyError(error, `switch ${this.link}`);
  }
}

/** Which of the releases go: all but the newest `keep`, and never one that is protected. `releases` newest first. */
export function toPrune(
  releases: readonly string[],
  keep: number,
  protectedOnes: ReadonlySet<string>,
): string[] {
  const kept = new Set(releases.filter((release) => protectedOnes.has(release)));
  for (const release of releases) if (kept.size < keep) kept.add(release);
  return releases.filter((release) => !kept.has(release));
}
