import type { Condition } from './ast.ts';

/** What a condition looks at: a change of nothing else can change its truth. */
export interface Dependencies {
  /** Names of metrics. */
  metrics: Set<string>;
  /** Paths of profile attributes: "email", "properties.plan". */
  attributes: Set<string>;
}

export function dependenciesOf(condition: Condition): Dependencies {
  const found: Dependencies = { metrics: new Set(), attributes: new Set() };
  const visit = (node: Condition): void => {
    switch (node.kind) {
      case 'all':
      case 'any':
        return node.children.forEach(visit);
      case 'not':
        return visit(node.child);
      case 'event':
        found.metrics.add(node.metric);
        return;
      case 'property':
        found.attributes.add(node.path);
    }
  };
  visit(condition);
  return found;
}
