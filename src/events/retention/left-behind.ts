/** Whether something of a workspace that was deleted is still there. */
export type HasLeft = (workspaceId: string) => Promise<boolean>;

/**
 * What other features keep of workspaces that were deleted. As long as there is any, the id of a workspace is not free: whoever
 * gets it next would find what belonged to somebody else.
 */
export interface LeftBehind {
  /** To be asked from now on, until the process ends. */
  add(hasLeft: HasLeft): void;
  readonly hasLeft: HasLeft;
}

export function createLeftBehind(): LeftBehind {
  const features: HasLeft[] = [];
  return {
    add: (hasLeft) => void features.push(hasLeft),
    async hasLeft(workspaceId) {
      for (const hasLeft of features) if (await hasLeft(workspaceId)) return true;
      return false;
    },
  };
}
