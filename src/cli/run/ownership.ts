import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DewyError } from "../../errors.ts";
import { isAbsent } from "../../util/fs.ts";
import type { User } from "../../util/user.ts";
import { actsFor, weakSpot } from "../../util/weak-spot.ts";

/**
 * Fails with `config-invalid` where the app's user could lead a root agent elsewhere: by what he owns or may write to of
 * an agent's own directories, or of those above them.
 */
export function checkOwnership(root: string, user: User | null): void {
  if (!actsFor(user)) return;
  const own = join(root, ".dewy");
  if (lstatSync(own, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new DewyError("config-invalid", `${own} is a link: with --user it must be a directory of root's`, {
      hint: "remove the link; dewy makes the directory",
    });
  }
  checkPaths([root, own, ...namesIn(own).map((name) => join(own, name)), join(root, "releases")], user);
}

/** The same for some paths alone. */
export function checkPaths(paths: readonly string[], user: User | null): void {
  if (!actsFor(user)) return;
  for (const path of paths) {
    const weak = weakSpot(path, user);
    if (weak === null) continue;
    const name = user.name ?? user.uid;
    throw new DewyError(
      "config-invalid",
      `${weak} is owned by or writable for user ${name}, whom the app runs as`,
      {
        hint: `chown -h root ${weak} and take write permission from others; what the app writes belongs into a --link directory`,
      },
    );
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
