/** Parameters of URLs that hold no secret; of all others only the name is shown. */
const openParameters = [
  "artifact",
  "calver",
  "constraint",
  "from",
  "no-tls",
  "on",
  "pre-release",
  "quiet",
  "region",
  "registry-ttl",
  "subject",
  "thread",
  "title",
  "tls",
  "to",
];

/** A URL for a person's eyes: no user, no password, no parameter that may be one. */
export function shownUrl(url: string, secretPath: boolean): string {
  const [, main = "", query = "", fragment = ""] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(url) ?? [];
  const named = main.replace(/^([^/]*\/\/)?.*@/s, "$1…@");
  const place = secretPath ? named.replace(/^([^/]*\/\/[^/]*)\/.+/s, "$1/…") : named;
  return `${place}${shownQuery(query)}${fragment === "" ? "" : "#…"}`;
}

function shownQuery(query: string): string {
  if (query === "") return "";
  const parts = query.slice(1).split("&");
  const shown = parts.map((part) => {
    const name = part.split("=", 1)[0] ?? "";
    if (openParameters.includes(name)) return part;
    // What has no value may be the secret itself.
    return part.includes("=") ? `${name}=…` : "…";
  });
  return `?${shown.join("&")}`;
}

/** Options of docker run, without the values of the container's variables. */
export function shownOptions(options: readonly string[]): string[] {
  return options.map((option, index) => {
    const before = options[index - 1] ?? "";
    if (/^(-e|--env)$/.test(before)) return option.replace(/=.*/s, "=…");
    return option.replace(/^((?:-e|--env=)[^=]+=).*/s, "$1…");
  });
}
