import type { Mount } from "../create-body.ts";
import type { ApiNeed } from "./draft.ts";
import { invalid } from "./problem.ts";
import { booleanOf, bytesOf, containerPath, fieldsOf } from "./values.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What the fields say, before they are checked against the type. */
interface Fields {
  type: string;
  source: string;
  target: string;
  readOnly: boolean;
  consistency: string | null;
  readonly bind: Mutable<NonNullable<Mount["BindOptions"]>>;
  readonly volume: Mutable<NonNullable<Mount["VolumeOptions"]>>;
  readonly tmpfs: Mutable<NonNullable<Mount["TmpfsOptions"]>>;
  readonly needs: ApiNeed[];
}

type Field = (mount: Fields, value: string) => void;

const propagations = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];
const recursions = ["enabled", "disabled", "writable", "readonly"];

const source: Field = (mount, value) => {
  mount.source = value;
};
const target: Field = (mount, value) => {
  mount.target = containerPath(value);
};
const readOnly: Field = (mount, value) => {
  mount.readOnly = booleanOf(value);
};

/** Keys of `--mount`, as docker/cli opts/mount.go knows them; `image-subpath` goes with a type dewy does not take. */
const keys: Readonly<Record<string, Field>> = {
  type: (mount, value) => {
    mount.type = oneOf(value.toLowerCase(), "type", ["bind", "volume", "tmpfs"]);
  },
  source,
  src: source,
  target,
  dst: target,
  destination: target,
  readonly: readOnly,
  ro: readOnly,
  consistency: (mount, value) => {
    mount.consistency = oneOf(value.toLowerCase(), "consistency", [
      "default",
      "consistent",
      "cached",
      "delegated",
    ]);
  },
  "bind-propagation": (mount, value) => {
    mount.bind.Propagation = oneOf(value.toLowerCase(), "bind-propagation", propagations);
  },
  "bind-nonrecursive": (mount, value) => {
    mount.bind.NonRecursive = booleanOf(value);
  },
  "bind-recursive": (mount, value) => setRecursion(mount, oneOf(value, "bind-recursive", recursions)),
  "volume-nocopy": (mount, value) => {
    mount.volume.NoCopy = booleanOf(value);
  },
  "volume-subpath": (mount, value) => {
    mount.volume.Subpath = value;
    mount.needs.push({ option: "--mount volume-subpath", apiVersion: "1.45" });
  },
  "volume-label": (mount, value) => {
    mount.volume.Labels = { ...mount.volume.Labels, ...entryOf(value, "volume-label") };
  },
  "volume-driver": (mount, value) => {
    mount.volume.DriverConfig = { ...mount.volume.DriverConfig, Name: value };
  },
  "volume-opt": (mount, value) => {
    const Options = { ...mount.volume.DriverConfig?.Options, ...entryOf(value, "volume-opt") };
    mount.volume.DriverConfig = { ...mount.volume.DriverConfig, Options };
  },
  "tmpfs-size": (mount, value) => {
    mount.tmpfs.SizeBytes = bytesOf(value);
  },
  "tmpfs-mode": (mount, value) => {
    if (!/^[0-7]{1,5}$/.test(value))
      throw invalid(`"${value}" is not an octal mode`, "write tmpfs-mode=1777");
    mount.tmpfs.Mode = Number.parseInt(value, 8);
  },
};
/** These mean `true` when they stand alone. */
const bareKeys = new Set(["readonly", "ro", "volume-nocopy", "bind-nonrecursive"]);

/** The value of `--mount`. Messages show no value of an option that may hold a password. */
export function mountOf(text: string): { mount: Mount; needs: readonly ApiNeed[] } {
  const mount: Fields = {
    type: "volume",
    source: "",
    target: "",
    readOnly: false,
    consistency: null,
    bind: {},
    volume: {},
    tmpfs: {},
    needs: [],
  };
  for (const [index, field] of fieldsOf(text).entries()) readField(mount, field, index + 1);
  return { mount: finished(mount), needs: mount.needs };
}

function readField(mount: Fields, field: string, position: number): void {
  const at = field.indexOf("=");
  const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
  if (at < 0 && !bareKeys.has(key)) {
    throw invalid(
      `has a field (number ${position}) that is not key=value`,
      "put a value with commas into quotes",
    );
  }
  const set = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (set === undefined)
    throw invalid(`has an unknown key "${key}"`, `known keys: ${Object.keys(keys).join(", ")}`);
  const value = at < 0 ? "true" : field.slice(at + 1);
  if (value === "") throw invalid(`has no value for ${key}`);
  set(mount, value);
}

function finished(fields: Fields): Mount {
  const { type, bind, volume, tmpfs, consistency } = fields;
  checkType(fields);
  return {
    Type: type === "bind" || type === "tmpfs" ? type : "volume",
    Target: fields.target,
    ...(fields.source === "" ? {} : { Source: fields.source }),
    ...(fields.readOnly ? { ReadOnly: true } : {}),
    ...(consistency === null ? {} : { Consistency: consistency }),
    ...(isEmpty(bind) ? {} : { BindOptions: bind }),
    ...(isEmpty(volume) ? {} : { VolumeOptions: volume }),
    ...(isEmpty(tmpfs) ? {} : { TmpfsOptions: tmpfs }),
  };
}

function checkType({ type, source, target, readOnly, bind, volume, tmpfs }: Fields): void {
  if (target === "") throw invalid("has no target", "add target=/path/in/the/container");
  for (const [owner, options] of Object.entries({ bind, volume, tmpfs })) {
    if (owner !== type && !isEmpty(options)) throw invalid(`has ${owner}-… keys with type=${type}`);
  }
  if (type === "tmpfs" && source !== "")
    throw invalid("has a source with type=tmpfs", "a tmpfs starts empty");
  if (type === "bind" && !/^(\/|\.\.?(\/|$))/.test(source)) {
    throw invalid("has no path as its source", "write source=/path on this host, or one that starts with ./");
  }
  if (type === "volume" && source !== "" && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(source)) {
    throw invalid(`"${source}" is not a volume's name`, "for a directory of this host add type=bind");
  }
  if (type === "volume" && source === "" && readOnly)
    throw invalid("is an anonymous volume that is read-only");
  checkReadOnlyRecursion(bind, readOnly);
}

function checkReadOnlyRecursion(bind: Fields["bind"], readOnly: boolean): void {
  if ((bind.ReadOnlyNonRecursive || bind.ReadOnlyForceRecursive) && !readOnly) {
    throw invalid("has a bind-recursive that goes only with readonly", "add readonly");
  }
  if (bind.ReadOnlyForceRecursive && bind.Propagation !== "rprivate") {
    throw invalid(
      "has bind-recursive=readonly without bind-propagation=rprivate",
      "add bind-propagation=rprivate",
    );
  }
}

function setRecursion(mount: Fields, how: string): void {
  if (how === "disabled") mount.bind.NonRecursive = true;
  if (how === "writable") mount.bind.ReadOnlyNonRecursive = true;
  if (how === "readonly") mount.bind.ReadOnlyForceRecursive = true;
  if (how === "readonly") mount.needs.push({ option: "--mount bind-recursive=readonly", apiVersion: "1.44" });
}

function oneOf(value: string, key: string, known: readonly string[]): string {
  if (known.includes(value)) return value;
  throw invalid(`has an unknown ${key} "${value}"`, `write ${known.join(", ")}`);
}

function entryOf(text: string, key: string): Record<string, string> {
  const at = text.indexOf("=");
  if (at === 0) throw invalid(`has a ${key} without a name`, `write ${key}=name=value`);
  return at < 0 ? { [text]: "" } : { [text.slice(0, at)]: text.slice(at + 1) };
}

function isEmpty(options: object): boolean {
  return Object.keys(options).length === 0;
}
