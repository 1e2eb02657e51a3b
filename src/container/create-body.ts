/** The body of `POST /containers/create` (Engine API v1.41), as far as dewy sets it; its names are the API's. */
export interface CreateBody {
  readonly Image: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  /** `8080/tcp`: {} */
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, never>>>>;
  readonly HostConfig?: {
    readonly PortBindings?: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[]>
    >;
    readonly [name: string]: unknown;
  };
  readonly [name: string]: unknown;
}
