import type { ContainerConfig, Endpoint, HostConfig, Mount } from "../create-body.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A bind mount or named volume of `--volume`. A source that starts with `.` is relative to dewy's root. */
export interface Bind {
  readonly source: string;
  readonly target: string;
  /** `ro,z`; empty: none. */
  readonly modes: string;
}

/** An option that an older engine would ignore. */
export interface ApiNeed {
  readonly option: string;
  /** `1.43`: the Engine API that knows it. */
  readonly apiVersion: string;
}

export interface Network {
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** What the options say so far; each option adds its part. */
export interface Draft {
  name: string | null;
  platform: string | null;
  readonly envFiles: string[];
  readonly env: string[];
  readonly binds: Bind[];
  readonly mounts: Mount[];
  readonly networks: Network[];
  readonly aliases: string[];
  noHealthcheck: boolean;
  readonly needs: ApiNeed[];
  readonly config: Mutable<ContainerConfig>;
  readonly host: Mutable<HostConfig>;
}

export function emptyDraft(): Draft {
  return {
    name: null,
    platform: null,
    envFiles: [],
    env: [],
    binds: [],
    mounts: [],
    networks: [],
    aliases: [],
    noHealthcheck: false,
    needs: [],
    config: {},
    host: {},
  };
}
