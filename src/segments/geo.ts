/** Distances on a sphere of the Earth's mean radius, as the haversine says. */
import type { NearCriterion } from './ast.ts';

const EARTH_RADIUS_KM = 6_371.0088;
export const KM_PER_MILE = 1.609344;
export const RADIANS = Math.PI / 180;

/**
 * Haversine of the angle between two places (degrees): a number from 0 to 1 that grows with the distance. In SQL:
 * pow(sin(radians(lat2 - lat1) / 2), 2) + cos(radians(lat1)) * cos(radians(lat2)) * pow(sin(radians(lon2 - lon1) / 2), 2)
 */
export function haversine(
  a: { latitude: number; longitude: number },
  b: { latitude: number; longitude: number },
): number {
  const squared = (degrees: number) => Math.sin((degrees * RADIANS) / 2) ** 2;
  const parallels = Math.cos(a.latitude * RADIANS) * Math.cos(b.latitude * RADIANS);
  return squared(b.latitude - a.latitude) + parallels * squared(b.longitude - a.longitude);
}

/** The haversine of two places that are the criterion's distance apart: at most this is near, more is beyond. */
export function haversineLimit({ within, unit }: Pick<NearCriterion, 'within' | 'unit'>): number {
  const km = unit === 'MILES' ? within * KM_PER_MILE : within;
  const angle = km / EARTH_RADIUS_KM;
  return angle >= Math.PI ? 1 : Math.sin(angle / 2) ** 2;
}

export function distanceKm(
  a: { latitude: number; longitude: number },
  b: { latitude: number; longitude: number },
): number {
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(haversine(a, b))));
}

/** Whether there is such a place: latitude from -90 to 90, longitude from -180 to 180 degrees. */
export function isPlace(latitude: number, longitude: number): boolean {
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180;
}
