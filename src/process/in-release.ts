/** Tells a process its own release's directory. */
export const releaseVariable = "DEWY_RELEASE_DIR";

/**
 * A path under `current` as one under the release itself: `current` may lead to another release by the time that a
 * process is started again. `--config=./current/x` counts as well; what a shell is given as a script does not.
 */
export function inRelease(word: string, root: string, release: string): string {
  const [, option = "", path = ""] = /^(-[^=/]*=)?(.*)$/s.exec(word) ?? [];
  for (const base of ["./", "", `${root}/`]) {
    const link = `${base}current`;
    const isLink = path.startsWith(`${link}/`) || (path === link && base !== "");
    if (isLink) return `${option}${base}releases/${release}${path.slice(link.length)}`;
  }
  return word;
}
