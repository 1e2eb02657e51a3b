/** A name of letters, digits and `. _ + ~ -` that may stand in file names, keys and shells as it is. */
export function isSafeTag(tag: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._+~-]{0,127}$/.test(tag) && !tag.includes("..");
}

/**
 * What registries that list tags may give: SemVer (256 characters), OCI tags, CalVer with `/ : , @ =` between its
 * numbers too. No part of it leads out of a directory, and none is an option of a command.
 */
export function isListedTag(tag: string): boolean {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._+~/:,@=-]{0,255}$/.test(tag)) return false;
  return tag.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
