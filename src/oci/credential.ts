import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import type { RegistryCredentials } from "./image-source.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A login and where it was found; only `source` may be shown. */
export interface Credential {
  readonly source: string;
  readonly login: RegistryCredentials;
}

export interface CredentialDeps {
  readonly env: Environment;
  readonly clock: Clock;
  readonly log: Log;
}
