/** The words of a command line, as a shell would split them; what it substitutes stays as it is written. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (const char of line) {
    if (quote !== "") {
      if (char === quote) quote = "";
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (/[|;&>#)]/.test(char) && (char !== "#" || word === null)) {
      // What follows is another command, a file, or a comment; `2>` belongs to it.
      if (char === ">" && /^\d$/.test(word ?? "")) word = null;
      break;
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = `${word ?? ""}${char}`;
  }
  return word === null ? words : [...words, word];
}
