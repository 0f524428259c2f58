/** Which news may travel before ClickHouse has the rows: those that leave nothing to be looked up there. */
import type { ProfileChange } from '../storage/profile-changes.ts';
import type { Debt } from './share.ts';

/** The accounts whose news of the debt travel ahead: all, or none. */
export function accountsAhead({ messages }: Pick<Debt, 'messages'>): number[] {
  const isAhead = messages.every(
    ({ message }) => message.kind === 'profiles' && message.changes.every(saysAll),
  );
  return isAhead ? [...new Set(messages.map(({ message }) => message.account))] : [];
}

function saysAll({ created, whole, gone, event, content, attributes, values }: ProfileChange): boolean {
  if (gone === true || (whole === true && created !== true)) return false;
  return (event === undefined || content !== undefined) && (attributes === undefined || values !== undefined);
}
