import { DewyError } from "../errors.ts";

/** A key that names an object below the root and nothing else; anything else never reaches a service or a disk. */
export function checkKey(key: string): string {
  if (key.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !key.includes("\0")) {
    return key;
  }
  throw new DewyError("internal", `${JSON.stringify(key)} is no key of an object`, { retryable: false });
}

/** `<url of the store>/<key>`, as it stands in a ReleaseFile. */
export function urlOfKey(storeUrl: string, key: string): string {
  const parts = key.split("/").map((part) => encodeURIComponent(part).replaceAll("%2B", "+"));
  return `${storeUrl}/${parts.join("/")}`;
}

/** The reverse of urlOfKey; null for an address that is not below the store. */
export function keyOfUrl(storeUrl: string, url: string): string | null {
  if (!url.startsWith(`${storeUrl}/`)) return null;
  try {
    return checkKey(decodeURIComponent(url.slice(storeUrl.length + 1)));
  } catch {
    return null;
  }
}
