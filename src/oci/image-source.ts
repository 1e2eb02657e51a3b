import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";

/** How to log in to a registry: to its API, or by handing it to an engine (X-Registry-Auth). */
export type RegistryCredentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | { readonly kind: "identity-token"; readonly token: string };

/** What whoever pulls images needs from a registry. */
export interface ImageSource {
  /** `host/name`, as the engine knows it. */
  readonly repository: string;
  /** Read anew each time, as helpers give out tokens that end. null: none that may be sent there. */
  credentials(c: Call): Promise<RegistryCredentials | null>;
  /**
   * What an image by tag or digest is on a platform (`os/arch[/variant]`, null: this host's). On some registries
   * that counts as a pull, so ask just before one. `artifact-missing`: it has nothing for the platform.
   */
  resolve(reference: string, platform: string | null, c: Call): Promise<PlatformImage>;
}

export interface PlatformImage {
  /** Of the platform's own manifest. */
  readonly digest: Digest;
  /** Of its configuration; what most engines take as the image's id. */
  readonly configDigest: Digest;
  /** Of all layers, as they are sent. */
  readonly sizeBytes: number;
}
