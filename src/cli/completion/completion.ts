import { bashScript } from "./bash.ts";
import { completedCommands } from "./completed.ts";
import { fishScript } from "./fish.ts";
import { zshScript } from "./zsh.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** `dewy completion bash|zsh|fish`: made from the tables of commands and flags. */
export function showCompletion(shell: string, write: (text: string) => void): number {
  const script = Object.entries(scripts).find(([name]) => name === shell)?.[1];
  if (script === undefined) throw new Error(`no shell ${shell}`);
  write(script(completedCommands()));
  return 0;
}
