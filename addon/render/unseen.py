"""Properties of Blender's data that no rendered picture depends on.

They belong to the interface, to the state of a session (the current frame, the device) or to output
paths, or they repeat what other properties hold. ``signature`` leaves them out. Everything that is
not listed here counts: a frame rendered again costs less than a film of two versions.
"""

from __future__ import annotations

ANYWHERE = (
    "rna_type name_full id_type session_uid is_evaluated original users use_fake_user "
    "use_extra_user is_embedded_data is_missing is_runtime_data is_editable tag "
    "is_library_indirect library library_weak_reference asset_data override_library preview "
    "is_valid is_active is_open is_expanded use_pin_to_last ui_expand expanded hide_select "
    "hide_viewport execution_time color_tag frame_current description"
)
"""Properties that are left out of every type."""

BEGINNINGS = (
    "active",
    "bl_",
    "debug_",
    "lock_",
    "open_",
    "preview_",
    "select",
    "show_",
    "use_preview_",
)
"""How the names of properties of the interface begin; ``SEEN`` are exceptions."""

SEEN = frozenset({"show_render", "show_instancer_for_render", "show_only_shape_key"})

TOLD = frozenset({"data_type", "domain"})
"""Read-only properties that count; all others follow from what can be set."""

ATTRIBUTES = (".select", ".hide", ".uv_select", ".vs.", ".es.", ".pn.")
"""Beginnings of the names of attributes that hold an editor's state."""

MATRICES = "matrix_world matrix_local matrix_basis matrix_channel matrix"

OF = {
    "Scene": "frame_start frame_end frame_step frame_subframe frame_float use_preview_range "
    "frame_preview_start frame_preview_end sync_mode use_audio use_audio_scrub "
    "audio_doppler_speed audio_doppler_factor audio_distance_model audio_volume tool_settings "
    "cursor transform_orientation_slots timeline_markers keying_sets keying_sets_all safe_areas "
    "grease_pencil annotation objects",
    "RenderSettings": "filepath use_overwrite use_placeholder use_file_extension threads "
    "threads_mode use_persistent_data use_lock_interface preview_pixel_size bake bake_type "
    "bake_margin bake_margin_type bake_bias bake_samples bake_user_scale use_bake_clear "
    "use_bake_multires use_bake_lores_mesh use_bake_selected_to_active use_bake_user_scale "
    "ffmpeg use_render_cache sequencer_gl_preview compositor_device "
    "compositor_denoise_device compositor_denoise_preview_quality "
    "use_sequencer_override_scene_strip",
    "CyclesRenderSettings": "device denoiser denoising_use_gpu tile_size use_auto_tile "
    "texture_limit",
    "ViewLayer": "objects depsgraph",
    "Collection": "all_objects exporters",
    "Object": f"{MATRICES} dimensions display display_type display_bounds_type motion_path "
    "empty_display_type empty_display_size animation_visualization use_mesh_mirror_x "
    "use_mesh_mirror_y use_mesh_mirror_z use_shape_key_edit_mode use_camera_lock_parent",
    "PoseBone": f"{MATRICES} custom_shape motion_path",
    "Camera": "angle angle_x angle_y lens_unit display_size passepartout_alpha background_images",
    "Mesh": "vertices edges loops polygons vertex_normals polygon_normals corner_normals "
    "loop_triangles loop_triangle_polygons uv_layers uv_layer_clone uv_layer_clone_index "
    "uv_layer_stencil uv_layer_stencil_index vertex_colors color_attributes skin_vertices "
    "use_mirror_x use_mirror_y use_mirror_z use_mirror_topology use_mirror_vertex_groups "
    "use_paint_bone_selection use_paint_mask use_paint_mask_vertex auto_texspace",
    "ShapeKey": "data",
    "Image": "pixels filepath_raw file_format resolution render_slots bindcode",
    "AnimData": "action_suitable_slots action_tweak_storage action_slot_handle_tweak_storage "
    "last_slot_identifier use_tweak_mode",
    "NlaStrip": "action_suitable_slots last_slot_identifier frame_start_raw frame_end_raw "
    "frame_start_ui frame_end_ui",
    "Action": "fcurves groups pose_markers frame_range curve_frame_range",
    "ActionSlot": "target_id_type target_id_type_icon users",
    "ActionChannelbag": "groups",
    "FCurve": "group color color_mode hide",
    "Keyframe": "co_ui type",
    "Node": "location location_absolute width height dimensions label parent use_custom_color "
    "color hide internal_links warning_propagation",
    "NodeSocket": "node hide enabled hide_value pin_gizmo link_limit display_shape type "
    "is_inactive",
    "NodeTree": "view_center grease_pencil annotation default_group_node_width",
    "CompositorNodeOutputFile": "base_path directory file_name file_slots layer_slots "
    "file_output_items format",
    "CompositorNodeRLayers": "outputs",
    "NodesModifier": "panels node_warnings is_override_data",
    "ParticleSystem": "particles child_particles",
    "TextCurve": "edit_format",
    "Material": "preview_render_type use_preview_world",
    "TimelineMarker": "name",
}
"""Properties that are left out of a type and of the types derived from it."""
