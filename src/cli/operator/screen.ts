/** Where text for people goes: a terminal, or a file or pipe that is read later. */
export interface Screen {
  /** Answers false once nobody reads it any more. */
  readonly write: (text: string) => boolean;
  /** How wide the terminal is now; null: it is none. */
  columns(): number | null;
  readonly colour: boolean;
  /** What is written can be written over. */
  readonly live: boolean;
}

interface TerminalLike {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** https://no-color.org: NO_COLOR counts unless it is empty. */
export function screenOf(
  stream: TerminalLike,
  write: Screen["write"],
  env: Readonly<Record<string, string | undefined>>,
): Screen {
  const isTerminal = stream.isTTY === true;
  const live = isTerminal && env["TERM"] !== "dumb" && (env["TERM"] ?? "") !== "";
  return {
    write,
    columns: () => (isTerminal ? (stream.columns ?? 80) || 80 : null),
    colour: live && (env["NO_COLOR"] ?? "") === "",
    live,
  };
}

const codes = { green: "32", yellow: "33", red: "31", dim: "2", bold: "1" } as const;
export type Paint = keyof typeof codes;

export function painted(text: string, paint: Paint | null, { colour }: Pick<Screen, "colour">): string {
  return colour && paint !== null ? `\u001b[${codes[paint]}m${text}\u001b[0m` : text;
}
