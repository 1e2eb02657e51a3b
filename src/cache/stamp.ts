import type { Version } from "./cache.ts";

/** 16 random bytes in base64url. */
export const stampBytes = 22;

/**
 * A value with a version of its own before its bytes. Not the service's: Redis has none, and Consul's ModifyIndex
 * stays what it is when the same bytes are written again, so that several swaps to them would all win.
 */
export function stamp(body: Uint8Array): { readonly value: Uint8Array; readonly version: Version } {
  const version = crypto.getRandomValues(Buffer.alloc(16)).toString("base64url");
  return { value: Buffer.concat([Buffer.from(version, "latin1"), body]), version };
}

/** The reverse. A value nobody stamped has what it begins with as its version, so it can still be replaced. */
export function unstamp(value: Uint8Array): { body: Uint8Array; version: Version } {
  return {
    version: Buffer.from(value.subarray(0, stampBytes)).toString("latin1"),
    body: value.subarray(stampBytes),
  };
}
