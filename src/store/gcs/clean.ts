const secrets: readonly RegExp[] = [
  /-----BEGIN[\s\S]*?(?:-----END[A-Z ]*-----|$)/g,
  // Access tokens, refresh tokens, JWTs.
  /\b(?:ya29|1\/\/|eyJ)[\w./+=-]+/g,
  /\b(?:Bearer|Basic)\s+\S+/gi,
  /\b(?:access_token|refresh_token|client_secret|private_key|assertion|upload_id)["']?\s*[=:]\s*["']?[^\s"'&,}]+/gi,
  // Signatures are in queries.
  /\?\S*/g,
];

const longest = 300;

/** What a service said, as one short line without anything that could be a secret. */
export function clean(text: string): string {
  let line = text;
  for (const secret of secrets) line = line.replace(secret, "***");
  return line.replace(/\s+/g, " ").trim().slice(0, longest);
}
