/** How one process is to be made. */
export interface ProcessSpec {
  readonly name: string;
  /** The release directory's name. */
  readonly release: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** What the app is told beside its ports. */
  readonly env: Readonly<Record<string, string>>;
  /** Each of the app's ports, and the variable that tells it which one it got. */
  readonly ports: readonly { readonly appPort: number; readonly variable: string }[];
}
