export function findProgram(name: string): string | null;
export const MARIADB_REMEDY: string;
