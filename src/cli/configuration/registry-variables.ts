const images = /^(DOCKER_(CONFIG|USERNAME|PASSWORD)|AWS_ECR_PASSWORD|GCR_TOKEN|GITHUB_TOKEN)$/;
/** By a registry's scheme the variables that it is asked with. */
const readBy: Readonly<Record<string, RegExp | null>> = {
  file: null,
  ghr: /^(GH|GITHUB)_/,
  s3: /^AWS_/,
  gs: /^(GOOGLE|STORAGE)_/,
  grpc: null,
  img: images,
  docker: images,
};
const proxy = /^(HTTPS?|NO)_PROXY$/;

/** Whether a registry is asked with a variable; null, or of a scheme that is not known: whether any is. */
export function isAskedWith(variable: string, registry: string | null): boolean {
  const scheme = /^[^:]*/.exec(registry ?? "")?.[0] ?? "";
  const readers = Object.hasOwn(readBy, scheme) ? [readBy[scheme]] : Object.values(readBy);
  return [proxy, ...readers].some((reader) => reader?.test(variable));
}
