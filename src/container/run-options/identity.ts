import { isReservedLabel } from "../../replicas/labels.ts";
import { list, type OptionSpec, single } from "./option.ts";
import { invalid } from "./problem.ts";

/** sethostname(2). */
const maxHostnameBytes = 64;

export const identityOptions: readonly OptionSpec[] = [
  single("name", (draft, name) => {
    // The engine's grammar, and room for `-<unix time>-<replica>`.
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}$/.test(name)) {
      throw invalid(
        `"${name}" cannot be part of a container's name`,
        "use letters, digits, and . _ - behind the first",
      );
    }
    draft.name = name;
  }),
  single(
    "hostname",
    (draft, name) => {
      const whole = /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?$/.test(name);
      if (!whole || name.length > maxHostnameBytes) {
        throw invalid(
          `"${name}" is not a host name`,
          `use letters, digits, - and .; ${maxHostnameBytes} at most`,
        );
      }
      draft.config.Hostname = name;
    },
    { short: "h" },
  ),
  single("domainname", (draft, name) => {
    if (/[\s/]/.test(name)) throw invalid(`"${name}" is not a domain name`);
    draft.config.Domainname = name;
  }),
  list("label", (draft, text) => setLabel(draft.config, text), { short: "l" }),
  list("annotation", (draft, text) => {
    const [key, value] = split(text);
    if (key === "") throw invalid("has no key", "write --annotation key=value");
    draft.host.Annotations = { ...draft.host.Annotations, [key]: value };
    draft.needs.push({ option: "--annotation", apiVersion: "1.43" });
  }),
];

function setLabel(config: { Labels?: Readonly<Record<string, string>> }, text: string): void {
  const [key, value] = split(text);
  if (key === "" || /\s/.test(key))
    throw invalid("has a key that is empty or holds a blank", "write -l key=value");
  if (isReservedLabel(key)) {
    throw invalid(`"${key}" is refused: labels that start with "dewy." are dewy's own`);
  }
  config.Labels = { ...config.Labels, [key]: value };
}

function split(text: string): [string, string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
