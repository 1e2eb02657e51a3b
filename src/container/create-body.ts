/**
 * The body of `POST /containers/create` (Engine API v1.41; newer fields say so), as far as dewy sets it; names and
 * units are the API's. What is left out is the engine's or the image's.
 */
export interface CreateBody extends ContainerConfig {
  readonly Image: string;
  readonly HostConfig?: HostConfig;
  readonly NetworkingConfig?: NetworkingConfig;
}

/** What the image may set as well. */
export interface ContainerConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly User?: string;
  /** `KEY=value`; a `KEY` alone takes the variable away from the image. */
  readonly Env?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: TextMap;
  /** `8080/tcp`: {} */
  readonly ExposedPorts?: EmptyMap;
  /** Anonymous volumes: their paths in the container. */
  readonly Volumes?: EmptyMap;
  readonly Healthcheck?: Healthcheck;
  readonly StopSignal?: string;
  /** Seconds. */
  readonly StopTimeout?: number;
}

/** What belongs to this host. */
export interface HostConfig {
  readonly PortBindings?: Readonly<Record<string, readonly PortBinding[]>>;
  /** `source:target[:modes]` */
  readonly Binds?: readonly string[];
  readonly Mounts?: readonly Mount[];
  /** Path in the container → mount options. */
  readonly Tmpfs?: TextMap;
  readonly VolumesFrom?: readonly string[];
  readonly VolumeDriver?: string;
  readonly StorageOpt?: TextMap;
  readonly ReadonlyRootfs?: boolean;
  readonly NetworkMode?: string;
  readonly Dns?: readonly string[];
  readonly DnsSearch?: readonly string[];
  readonly DnsOptions?: readonly string[];
  /** `name:address` */
  readonly ExtraHosts?: readonly string[];
  readonly RestartPolicy?: { readonly Name: string; readonly MaximumRetryCount: number };
  readonly LogConfig?: { readonly Type: string; readonly Config: TextMap };
  readonly Init?: boolean;
  readonly CapDrop?: readonly string[];
  readonly GroupAdd?: readonly string[];
  readonly IpcMode?: string;
  readonly UTSMode?: string;
  readonly Runtime?: string;
  readonly Sysctls?: TextMap;
  /** API 1.43. */
  readonly Annotations?: TextMap;
  readonly OomScoreAdj?: number;
  readonly OomKillDisable?: boolean;
  readonly CgroupParent?: string;
  /** Bytes, as all memory here. */
  readonly Memory?: number;
  /** Memory and swap together; -1: no limit. */
  readonly MemorySwap?: number;
  readonly MemoryReservation?: number;
  /** Percent; -1: the engine's. */
  readonly MemorySwappiness?: number;
  readonly ShmSize?: number;
  /** 10^-9 of a CPU. */
  readonly NanoCpus?: number;
  readonly CpuShares?: number;
  /** Microseconds, as the quota and the real-time ones. */
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpuRealtimePeriod?: number;
  readonly CpuRealtimeRuntime?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  /** -1: no limit. */
  readonly PidsLimit?: number;
  readonly Ulimits?: readonly Ulimit[];
  readonly BlkioWeight?: number;
  readonly BlkioWeightDevice?: readonly { readonly Path: string; readonly Weight: number }[];
  readonly BlkioDeviceReadBps?: readonly DeviceRate[];
  readonly BlkioDeviceWriteBps?: readonly DeviceRate[];
  readonly BlkioDeviceReadIOps?: readonly DeviceRate[];
  readonly BlkioDeviceWriteIOps?: readonly DeviceRate[];
  readonly DeviceRequests?: readonly DeviceRequest[];
}

export type TextMap = Readonly<Record<string, string>>;
export type EmptyMap = Readonly<Record<string, Readonly<Record<string, never>>>>;

export interface PortBinding {
  readonly HostIp: string;
  /** Empty: the engine chooses one. */
  readonly HostPort: string;
}

export interface Mount {
  readonly Type: "bind" | "volume" | "tmpfs";
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
  readonly Consistency?: string;
  readonly BindOptions?: {
    readonly Propagation?: string;
    readonly NonRecursive?: boolean;
    /** API 1.44, both. */
    readonly ReadOnlyNonRecursive?: boolean;
    readonly ReadOnlyForceRecursive?: boolean;
  };
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean;
    readonly Labels?: TextMap;
    readonly DriverConfig?: { readonly Name?: string; readonly Options?: TextMap };
    /** API 1.45. */
    readonly Subpath?: string;
  };
  readonly TmpfsOptions?: { readonly SizeBytes?: number; readonly Mode?: number };
}

/** Times in nanoseconds; what is left out is the image's. */
export interface Healthcheck {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  /** API 1.44. */
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

export interface DeviceRate {
  readonly Path: string;
  readonly Rate: number;
}

export interface DeviceRequest {
  readonly Driver: string;
  /** -1: all. */
  readonly Count: number;
  readonly DeviceIDs: readonly string[] | null;
  readonly Capabilities: readonly (readonly string[])[];
  readonly Options: TextMap;
}

/** By network. */
export interface NetworkingConfig {
  readonly EndpointsConfig: Readonly<Record<string, Endpoint>>;
}

export interface Endpoint {
  readonly Aliases?: readonly string[];
  readonly DriverOpts?: TextMap;
  /** API 1.48. */
  readonly GwPriority?: number;
}
